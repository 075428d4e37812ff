-- Old job over energyInvoices: consumption of the billing period / days, at one location-based factor.
with i as (
  select customer, trim(meter) as meter, period['from'] as f, period['to'] as t, amount,
         arrow_cast(period['to'], 'Int32') - arrow_cast(period['from'], 'Int32') as days,
         cast(consumption['value'] as double)
           * case lower(trim(consumption['unit'])) when 'kwh' then 1.0 when 'mwh' then 1000.0 when 'wh' then 0.001 end as used
  from invoices
), d as (
  -- The end is not billed any more. A unit of another energy is not electricity.
  select customer, meter, unnest(generate_series(f, cast(t - interval '1 day' as date), interval '1 day')) as day,
         used / days as kwh, cast(amount as decimal(28, 10)) / days as cost
  from i where used is not null and days > 0
)
select d.customer as customer_id, d.meter as meter_id, cast(d.day as date) as day, coalesce(c.iso2, '??') as country,
       sum(d.kwh) as kwh, cast(sum(d.cost) as decimal(38, 10)) as cost,
       sum(d.kwh) * max(case when c.iso2 = 'FR' then (select try_cast(value as double) from factors_old where factor_key = 'grid/ademe/FR-mix-moyen-2023')
                             else coalesce(g.ember_2022_ed2023_04, (select ember_2022_ed2023_04 from grid_ember where iso3 = 'WORLD')) end) / 1000 as co2e_lb_kg
from d
left join customers k on k.slug = d.customer
left join country_codes c on c.code = upper(trim(k.country))
left join grid_ember g on g.iso3 = c.iso3
where cast(d.day as date) between cast($period_first_day as date) and cast($period_last_day as date)
group by d.customer, d.meter, cast(d.day as date), coalesce(c.iso2, '??')
