-- The old calculation: one factor a country, the edition of 2023.
select
  m.customer as customer_id,
  m.day,
  m.country,
  sum(m.kwh) as kwh,
  sum(m.kwh * g.g_per_kwh / 1000) as co2e_kg
from meters m
join grid g on g.country = m.country and g.edition = '2023'
group by m.customer, m.day, m.country
