-- Emissions of a line and month by its volume; a line without a volume is closed.
with counted as (
  select customer_id, line_id, month, line_type, coalesce(gb, 0.0) as gb
  from silver
  where gb is not null or $closed_lines = 'counted'
)
select
  counted.customer_id,
  counted.line_id,
  counted.month,
  counted.line_type,
  counted.gb,
  case
    when $network_factors_edition = 'lca' then counted.gb * factors.grams_per_gb_lca
    else factors.grams_per_line_2022 + counted.gb * factors.grams_per_gb_2022
  end / 1000 as co2e_kg
from counted
join network_factors factors on factors.line_type = counted.line_type
