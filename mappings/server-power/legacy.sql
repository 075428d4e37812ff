-- Old nightly job over powerReadings: mean power of a site-local day x 24 h x PUE x grid factor.
with r as (
  select "customerId" as c, lower(trim(server)) as s, tz, hour, pue_site, pue_site_missing,
         unnest(readings) as x, unnest(range(0, cast(array_length(readings) as bigint))) as n
  from power
), once as (
  -- A retry gives way to the reading it repeats.
  select *, x['t'] as t, x['w'] as w,
         row_number() over (partition by c, s, x['t'] order by coalesce(x['retry'], false), hour desc, n) as nth
  from r
), d as (
  select c, s, case tz
           when 'Europe/Paris' then cast(to_local_time(t at time zone 'Europe/Paris') as date)
           when 'Europe/Helsinki' then cast(to_local_time(t at time zone 'Europe/Helsinki') as date)
           when 'America/Los_Angeles' then cast(to_local_time(t at time zone 'America/Los_Angeles') as date)
           when 'Europe/Berlin' then cast(to_local_time(t at time zone 'Europe/Berlin') as date)
           when 'Europe/Madrid' then cast(to_local_time(t at time zone 'Europe/Madrid') as date)
           when 'Europe/Oslo' then cast(to_local_time(t at time zone 'Europe/Oslo') as date)
           when 'Europe/Stockholm' then cast(to_local_time(t at time zone 'Europe/Stockholm') as date)
           when 'Europe/London' then cast(to_local_time(t at time zone 'Europe/London') as date)
           when 'Asia/Kolkata' then cast(to_local_time(t at time zone 'Asia/Kolkata') as date)
           when 'Europe/Lisbon' then cast(to_local_time(t at time zone 'Europe/Lisbon') as date)
           when 'America/New_York' then cast(to_local_time(t at time zone 'America/New_York') as date)
           when 'Europe/Warsaw' then cast(to_local_time(t at time zone 'Europe/Warsaw') as date)
           when 'Europe/Rome' then cast(to_local_time(t at time zone 'Europe/Rome') as date)
           when 'Europe/Amsterdam' then cast(to_local_time(t at time zone 'Europe/Amsterdam') as date)
         end as day,
         avg(w) as w, max(pue_site) as pue, bool_or(pue_site_missing) as no_pue
  from once where nth = 1 group by c, s, 3
), dcim as (
  select customer, site, country, p['month'] as month, p['value'] as pue
  from (select customer, site, country, unnest(pue) as p from dc_sites)
), e as (
  select k.slug, d.s, d.day, d.w * 24 / 1000 as it,
         -- A null means "ask the DCIM"; no field at all, or a site that the DCIM lacks, means the default.
         coalesce(d.pue, case when not d.no_pue then m.pue end,
                  (select try_cast(value as double) from factors_old where factor_key = 'pue/onprem/default')) as pue,
         coalesce(g.ember_2022_ed2023_04, (select ember_2022_ed2023_04 from grid_ember where iso3 = 'WORLD')) as i
  from d
  join customers k on k."_id" = d.c
  left join dcim m on m.customer = k.slug and m.site = split_part(d.s, '-', 2) and m.month = to_char(d.day, '%Y-%m')
  left join country_codes cc on cc.code = upper(trim(coalesce(m.country, k.country)))
  left join grid_ember g on g.iso3 = cc.iso3
)
select slug as customer_id, s as server_id, day, it as kwh_it, it * pue as kwh_total, it * pue * i / 1000 as co2e_kg
from e where day is not null
