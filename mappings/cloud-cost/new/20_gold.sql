-- Cost and spend-based emissions by customer, provider, service, region and day.
-- $epa_edition: '1.2' or '1.3' of the EPA supply chain factors; NAICS 518210 is data processing and hosting.
with factor as (
    select '1.2' as edition, subject, factor_key, cast(value as double) as kg_per_usd from factors_old
    union all
    select '1.3' as edition, subject, factor_key, cast(value as double) as kg_per_usd from factors_new
),
hosting as (
    select kg_per_usd
    from factor
    where edition = $epa_edition and factor_key = 'saas/naics/518210/with_margins'
)
select
    silver.customer_id,
    silver.provider,
    silver.service,
    silver.region,
    silver.day,
    count(*) as lines,
    cast(sum(billed_cost) as decimal(38, 11)) as cost,
    sum(cast(billed_cost as double) * hosting.kg_per_usd) as co2e_kg,
    max(silver.currency) as currency
from silver
cross join hosting
group by silver.customer_id, silver.provider, silver.service, silver.region, silver.day
