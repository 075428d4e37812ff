-- Memory, its energy (before PUE) and its emissions per project, region, SKU and day.
with memory as (
  select customer_id, project, region, sku, usage_day,
         -- One GB is 10^9 bytes; under the old method it was 2^30.
         byte_seconds / 3600 / case when $memory_gb = 'decimal' then 1e9 else 1073741824.0 end as gb_h
  from silver
),
coefficient as (
  select max(case when factor_key = 'memory/coefficient' then try_cast(value as double) end) as kwh_per_gb_h,
         max(case when factor_key = 'pue/gcp/fleet' then try_cast(value as double) end) as pue
  from factors_new where ship like 'yes%'
),
grid as (
  select substr(factor_key, 10) as region, try_cast(value as double) as g_per_kwh
  from factors_new where factor_key like 'grid/gcp/%' and ship like 'yes%'
)
select memory.customer_id, memory.project, memory.region, memory.sku, memory.usage_day,
       sum(memory.gb_h) as gb_h,
       sum(memory.gb_h * coefficient.kwh_per_gb_h) as kwh,
       sum(memory.gb_h * coefficient.kwh_per_gb_h * coefficient.pue * grid.g_per_kwh / 1000) as co2e_kg
from memory
cross join coefficient
left join grid on grid.region = memory.region
group by memory.customer_id, memory.project, memory.region, memory.sku, memory.usage_day
