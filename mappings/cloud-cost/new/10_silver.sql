-- One row a billing line: the text "NULL" and the empty text are null, regions in lower case, the day in UTC.
with line as (
    select
        "_id" as line_id,
        nullif(nullif("SubAccountName", 'NULL'), '') as sub_account,
        "ProviderName" as provider,
        "ServiceName" as service,
        nullif(nullif("RegionId", 'NULL'), '') as region_id,
        nullif(nullif("RegionName", 'NULL'), '') as region_name,
        "ChargePeriodStart" as charged_from,
        "BilledCost" as billed_cost,
        "BillingCurrency" as currency
    from focus_lines
)
select
    line_id,
    coalesce(sub_account, 'unassigned') as customer_id,
    provider,
    service,
    coalesce(region_id, region_name, 'unknown') as region,
    cast(charged_from as date) as day,
    billed_cost,
    currency
from line
