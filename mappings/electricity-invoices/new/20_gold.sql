-- Electricity, cost and location-based emissions per meter and day.
with covering as (
  select *,
         unnest(generate_series(
           greatest(billed_from, cast($period_first_day as date)),
           least(cast(billed_until - interval '1 day' as date), cast($period_last_day as date)),
           interval '1 day'
         )) as billed_day
  from silver
  where billed_from <= cast($period_last_day as date) and billed_until > cast($period_first_day as date)
),
meter_day as (
  select customer_id, meter_id, cast(billed_day as date) as day,
         sum(kwh / billed_days) as kwh,
         sum(amount_eur / billed_days) as cost
  from covering
  group by customer_id, meter_id, cast(billed_day as date)
),
-- ADEME's French mix of 2023 as printed in the edition of that year, and restated in the edition of 2025.
french_mix as (
  select try_cast(value as double) as g_per_kwh from factors_old
  where factor_key = 'grid/ademe/FR-mix-moyen-2023' and ship like 'yes%' and $fr_mix_edition = '2023'
  union all
  select try_cast(value as double) as g_per_kwh from factors_new
  where factor_key = 'grid/ademe/FR-mix-moyen-2023' and ship like 'yes%' and $fr_mix_edition = '2025'
),
located as (
  select meter_day.customer_id, meter_day.meter_id, meter_day.day, meter_day.kwh, meter_day.cost,
         coalesce(country_codes.iso2, '??') as country, country_codes.iso3
  from meter_day
  left join customers on customers.slug = meter_day.customer_id
  left join country_codes on country_codes.code = upper(trim(customers.country))
)
select located.customer_id,
       located.meter_id,
       located.day,
       located.country,
       located.kwh,
       cast(located.cost as decimal(38, 10)) as cost,
       located.kwh / 1000 * case when located.country = 'FR' then french_mix.g_per_kwh
                                 else coalesce(ember.ember_2022_ed2023_04, world.ember_2022_ed2023_04) end as co2e_lb_kg
from located
cross join french_mix
cross join (select ember_2022_ed2023_04 from grid_ember where iso3 = 'WORLD') world
left join grid_ember ember on ember.iso3 = located.iso3
