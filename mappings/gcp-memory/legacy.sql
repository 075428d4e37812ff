-- Old job over cloudUsage.gcp: byte-seconds / 2^30 / 3600 x kWh per GB-hour; energy is before PUE.
with m as (
  select customer, lower(trim(project['id'])) as p, lower(trim(location['region'])) as r, upper(trim(sku['id'])) as s,
         cast(usage_start_time as date) as d,
         case when lower(usage['unit']) = 'gibibyte hour' then usage['amount']
              else usage['amount'] / 1073741824 / 3600 end as gib_h
  from usage
  where lower(sku['description']) like '% ram %'
), e as (
  select *, gib_h * (select try_cast(value as double) from factors_new where factor_key = 'memory/coefficient') as kwh from m
)
select e.customer as customer_id, e.p as project, e.r as region, e.s as sku, e.d as usage_day,
       sum(e.gib_h) as gb_h, sum(e.kwh) as kwh,
       sum(e.kwh) * (select try_cast(value as double) from factors_new where factor_key = 'pue/gcp/fleet')
                  * max(try_cast(g.value as double)) / 1000 as co2e_kg
from e left join factors_new g on g.factor_key = concat('grid/gcp/', e.r)
group by e.customer, e.p, e.r, e.s, e.d
