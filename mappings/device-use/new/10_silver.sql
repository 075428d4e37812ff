-- Devices, cleaned: one row a machine, with folded names and codes.
with reported as (
  select _id, max(source['last_seen']) as last_seen
  from (select _id, unnest(sources) as source from assets)
  group by _id
),
folded as (
  select
    assets.customer_id,
    assets._id as device_id,
    upper(regexp_replace(assets.serial, '\s', '', 'g')) as serial,
    lower(btrim(assets.manufacturer)) as manufacturer,
    lower(btrim(regexp_replace(assets.model, '\s+', ' ', 'g'))) as model,
    lower(btrim(assets."type")) as device_type,
    upper(btrim(assets.site['country'])) as country_code,
    assets.purchase_date as purchased_on,
    assets.deleted_at as retired_on,
    assets.deleted_at_missing as imported_before_2021,
    assets.lifetime_months,
    assets.lifetime_months is null and not assets.lifetime_months_missing as never_amortised,
    reported.last_seen
  from assets
  left join reported on reported._id = assets._id
),
ranked as (
  select
    folded.*,
    row_number() over (partition by customer_id, serial order by last_seen desc nulls last, device_id) as reported_rank
  from folded
)
select
  customer_id,
  device_id,
  manufacturer,
  model,
  case
    when device_type in ('laptop', 'notebook') then 'laptop'
    when device_type in ('desktop', 'tower') then 'desktop'
    when device_type in ('monitor', 'display') then 'monitor'
    when device_type in ('smartphone', 'phone') then 'smartphone'
    when device_type = 'tablet' then 'tablet'
  end as category,
  country_code,
  purchased_on,
  retired_on,
  imported_before_2021,
  lifetime_months,
  never_amortised
from ranked
where reported_rank = 1
