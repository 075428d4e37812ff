-- Billed cost by provider, service, region and day, and its emissions at the EPA v1.2 factor of hosting (NAICS 518210).
-- Credits and corrections are negative and count. Oracle names its region in RegionName only.
select
    case when "SubAccountName" is null or "SubAccountName" in ('', 'NULL') then 'unassigned' else "SubAccountName" end
        as customer_id,
    "ProviderName" as provider,
    "ServiceName" as service,
    coalesce(nullif(nullif("RegionId", 'NULL'), ''), nullif(nullif("RegionName", 'NULL'), ''), 'unknown') as region,
    cast("ChargePeriodStart" as date) as day,
    count(*) as lines,
    cast(sum("BilledCost") as decimal(38, 11)) as cost,
    cast(sum("BilledCost") as double)
        * max((select cast(value as double) from factors_old where factor_key = 'saas/naics/518210/with_margins'))
        as co2e_kg,
    max("BillingCurrency") as currency
from focus_lines
group by 1, 2, 3, 4, 5
