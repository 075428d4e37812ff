-- Cleaned readings: one row a meter and day.
select customer as customer_id, day, upper(trim(country)) as country, kwh
from meters
where kwh is not null
