-- PCF without its use phase (vendor's sheet, else ADEME's category of January 2024) over the lifetime in months.
-- A month counts in full for every device that was held on one of its days.
with seen as (
  select _id, max(s['last_seen']) as last_seen
  from (select _id, unnest(sources) as s from assets)
  group by _id
),
-- One machine reported by two tools has one serial number: the document seen last counts.
machine as (
  select a.*,
         row_number() over (
           partition by a.customer_id, upper(regexp_replace(a.serial, '\s', '', 'g'))
           order by seen.last_seen desc nulls last, a._id
         ) as n
  from assets a left join seen on seen._id = a._id
)
select
  m.customer_id,
  m._id as device_id,
  cast($period_first_day as date) as month,
  k.category,
  case
    -- null is "leased", absent is "default of the category"
    when m.lifetime_months is null and not m.lifetime_months_missing then 0.0
    else coalesce(v.embodied_kg, c.ed2024_01_manufacture_distribution_kg + c.ed2024_01_eol_kg)
       / coalesce(m.lifetime_months, 12 * c.ed2024_01_lifetime_y)
  end as embodied_kg
from machine m
left join use_profiles k on k.category = case
  when lower(btrim(m."type")) in ('laptop', 'notebook') then 'laptop'
  when lower(btrim(m."type")) in ('desktop', 'tower') then 'desktop'
  when lower(btrim(m."type")) in ('monitor', 'display') then 'monitor'
  when lower(btrim(m."type")) in ('smartphone', 'phone') then 'smartphone'
  when lower(btrim(m."type")) = 'tablet' then 'tablet' end
left join categories c on c.slug = k.slug
left join vendor_sheets v
  on v.manufacturer = lower(btrim(m.manufacturer))
 and v.model = lower(btrim(regexp_replace(m.model, '\s+', ' ', 'g')))
where m.n = 1
  and m.purchase_date <= cast($period_last_day as date)
  and (m.deleted_at is null or m.deleted_at > cast($period_first_day as date))
