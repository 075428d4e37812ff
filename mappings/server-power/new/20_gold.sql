-- Electricity and emissions per server and site-local day.
with pairs as (
  select *,
         lead(watts) over (partition by customer_object_id, server_id order by read_at) as next_watts,
         lead(read_at) over (partition by customer_object_id, server_id order by read_at) as next_at
  from silver
),
steps as (
  -- Trapezoid between neighbouring readings, counted to the day in which it begins. Of a gap one hour is bridged:
  -- what was not measured is not invented.
  select *,
         (watts + next_watts) / 2
           * least((arrow_cast(next_at, 'Int64') - arrow_cast(read_at, 'Int64')) / 3.6e9, 1.0) as watt_hours
  from pairs
),
server_day as (
  select customer_object_id, server_id, day,
         case when $energy_method = 'trapezoid' then coalesce(sum(watt_hours), 0.0)
              else avg(watts) * 24 end / 1000 as kwh_it,
         max(pue_site) as pue_site,
         bool_or(pue_site_missing) as pue_missing
  from steps
  where day is not null
  group by customer_object_id, server_id, day
),
dcim as (
  select customer, site, country, entry['month'] as month, entry['value'] as pue
  from (select customer, site, country, unnest(pue) as entry from dc_sites)
),
default_pue as (
  select try_cast(value as double) as pue from factors_old
  where factor_key = 'pue/onprem/default' and ship like 'yes%'
),
intensity as (
  select iso3,
         case when $grid_year = '2024' then ember_2024_ed2025_08 else ember_2022_ed2023_04 end as g_per_kwh
  from grid_ember
),
located as (
  select customers.slug as customer_id,
         server_day.server_id,
         server_day.day,
         server_day.kwh_it,
         -- A number counts as it is. Null: the DCIM knows it. No field, or not in the DCIM: the default.
         case when server_day.pue_site is not null then server_day.pue_site
              when server_day.pue_missing then default_pue.pue
              else coalesce(dcim.pue, default_pue.pue) end as pue,
         upper(trim(coalesce(dcim.country, customers.country))) as country_code
  from server_day
  join customers on customers."_id" = server_day.customer_object_id
  cross join default_pue
  left join dcim on dcim.customer = customers.slug
                and dcim.site = split_part(server_day.server_id, '-', 2)
                and dcim.month = to_char(server_day.day, '%Y-%m')
)
select located.customer_id,
       located.server_id,
       located.day,
       located.kwh_it,
       located.kwh_it * located.pue as kwh_total,
       located.kwh_it * located.pue * coalesce(country.g_per_kwh, world.g_per_kwh) / 1000 as co2e_kg
from located
left join country_codes on country_codes.code = located.country_code
left join intensity country on country.iso3 = country_codes.iso3
cross join (select g_per_kwh from intensity where iso3 = 'WORLD') world
