-- Annual energy of the vendor's sheet (else the category's profile) over 365 days, by Ember's 2022 mix
-- (edition of April 2023; the world's mean where Ember has no figure).
with seen as (
  select _id, max(s['last_seen']) as last_seen
  from (select _id, unnest(sources) as s from assets)
  group by _id
),
-- One machine reported by two tools has one serial number: the document seen last counts.
machine as (
  select a.*,
         upper(btrim(a.site['country'])) as country_code,
         row_number() over (
           partition by a.customer_id, upper(regexp_replace(a.serial, '\s', '', 'g'))
           order by seen.last_seen desc nulls last, a._id
         ) as n
  from assets a left join seen on seen._id = a._id
)
select
  m.customer_id,
  m._id as device_id,
  cast($period_first_day as date) as day,
  p.category,
  c.iso2 as country,
  coalesce(v.annual_kwh / 365, p.watts_2024 * p.hours_2024 / 1000) as kwh,
  coalesce(v.annual_kwh / 365, p.watts_2024 * p.hours_2024 / 1000)
    * coalesce(g.ember_2022_ed2023_04, w.ember_2022_ed2023_04) / 1000 as co2e_kg
from machine m
left join use_profiles p on p.category = case
  when lower(btrim(m."type")) in ('laptop', 'notebook') then 'laptop'
  when lower(btrim(m."type")) in ('desktop', 'tower') then 'desktop'
  when lower(btrim(m."type")) in ('monitor', 'display') then 'monitor'
  when lower(btrim(m."type")) in ('smartphone', 'phone') then 'smartphone'
  when lower(btrim(m."type")) = 'tablet' then 'tablet' end
left join vendor_sheets v
  on v.manufacturer = lower(btrim(m.manufacturer))
 and v.model = lower(btrim(regexp_replace(m.model, '\s+', ' ', 'g')))
left join country_codes c on c.code = m.country_code
left join grid_ember g on g.iso3 = c.iso3
left join grid_ember w on w.iso3 = 'WORLD'
where m.n = 1
  and m.purchase_date <= cast($period_first_day as date)
  and (m.deleted_at is null or m.deleted_at > cast($period_first_day as date))
