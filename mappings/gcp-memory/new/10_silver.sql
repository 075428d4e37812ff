-- Lines of memory in byte-seconds. Labels and credits stay as they are: unfolding them would repeat a line.
select customer as customer_id,
       lower(trim(project['id'])) as project,
       lower(trim(location['region'])) as region,
       upper(trim(sku['id'])) as sku,
       cast(usage_start_time as date) as usage_day,
       case when lower(usage['unit']) = 'gibibyte hour' then usage['amount'] * 1073741824 * 3600
            else usage['amount'] end as byte_seconds
from usage
where lower(sku['description']) like '% ram %'
