-- Every line of every invoice: mobile by volume, fixed by subscriber and month.
select
  l.customer_id,
  '+33' || right(regexp_replace(l.number, '[^0-9]', '', 'g'), 9) as line_id,
  l.month,
  max(l.line_type) as line_type,
  max(l.gb) as gb,
  max(f.grams_per_line_2022 + f.grams_per_gb_2022 * l.gb) / 1000 as co2e_kg
from (
  select
    customer as customer_id,
    make_date(cast(split_part(month, '-', 1) as int), cast(split_part(month, '-', 2) as int), 1) as month,
    coalesce(line['msisdn'], line['ndi']) as number,
    lower(btrim(line['type'])) as line_type,
    case
      when line['data'] like '%Go' then cast(replace(regexp_replace(line['data'], '[^0-9,]', '', 'g'), ',', '.') as double)
      when line['data'] like '%Mo' then cast(replace(regexp_replace(line['data'], '[^0-9,]', '', 'g'), ',', '.') as double) / 1024
      when line['data_mb'] is not null then line['data_mb'] / 1024
      when not line['data_missing'] then 220.0
      else 0.0
    end as gb
  from (select customer, month, unnest(lines) as line from invoices)
) l
join network_factors f on f.line_type = l.line_type
group by 1, 2, 3
