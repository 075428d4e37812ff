-- The new calculation: $grid_edition is '2025' with the change MC-1 and '2023' without it.
select
  s.customer_id,
  s.day,
  s.country,
  sum(s.kwh) as kwh,
  sum(s.kwh * g.g_per_kwh / 1000) as co2e_kg
from silver s
join grid g on g.country = s.country and g.edition = $grid_edition
group by s.customer_id, s.day, s.country
