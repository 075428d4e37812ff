-- Lines of invoices, cleaned: one row a line and month, whichever way its number is written.
with line as (
  select customer as customer_id, month, unnest(lines) as entry
  from invoices
),
entry as (
  select
    customer_id,
    make_date(cast(split_part(month, '-', 1) as int), cast(split_part(month, '-', 2) as int), 1) as month,
    regexp_replace(coalesce(entry['msisdn'], entry['ndi']), '[^0-9]', '', 'g') as digits,
    lower(btrim(entry['type'])) as line_type,
    cast(replace(regexp_replace(entry['data'], '[^0-9,]', '', 'g'), ',', '.') as double) as volume,
    right(btrim(entry['data']), 2) as volume_unit,
    entry['data_mb'] as volume_mb,
    entry['data'] is null and not entry['data_missing'] as unlimited
  from line
)
select
  customer_id,
  '+33' || right(digits, 9) as line_id,
  month,
  max(line_type) as line_type,
  max(
    case
      when volume_unit = 'Go' then volume
      when volume_unit = 'Mo' then volume / 1024
      else coalesce(volume_mb / 1024, case when unlimited then 220.0 end)
    end
  ) as gb
from entry
group by 1, 2, 3
