-- French days before 2025 at ADEME's mean of 2021 to 2024, later ones at the mean of 2022 to 2025.
with earlier as (
  select try_cast(value as double) as g_per_kwh from factors_new where factor_key = 'grid/ademe/FR-mix-moyen'
)
select gold.customer_id, gold.meter_id, gold.day, gold.country, gold.kwh, gold.cost,
       case when $factor_year = 'day' and gold.country = 'FR' and gold.day < date '2025-01-01'
            then gold.kwh * earlier.g_per_kwh / 1000
            else gold.co2e_lb_kg end as co2e_lb_kg
from gold cross join earlier
