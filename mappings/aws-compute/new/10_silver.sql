-- Lines of instances, cleaned: one row for each line of use, keys normalised, utilisation as a share.
with delivered as (
  select "_id" as document_id, customer as customer_id, account, "usageDate" as usage_day,
         unnest("lineItems") as line,
         unnest(range(0, cast(array_length("lineItems") as bigint))) as position
  from usage
),
numbered as (
  select document_id, customer_id, account, usage_day, line,
         row_number() over (partition by document_id, line['id'] order by position) as delivery
  from delivered
),
first_delivery as (
  select * from numbered where delivery = 1
)
select customer_id,
       lpad(account, 12, '0') as account,
       lower(trim(line['region'])) as region,
       coalesce(line['service'], 'AmazonEC2') as service,
       lower(trim(line['instanceType'])) as instance_type,
       split_part(lower(trim(line['instanceType'])), '.', 1) as family,
       usage_day,
       line['vcpu'] as vcpu,
       line['hours'] as hours,
       -- Null means that there is no metric: the method's default is 50 % (Cloud Carbon Footprint).
       coalesce(line['cpuAvg'], 50.0) / 100 as utilisation
from first_delivery
-- A line without cpuAvg is not an instance; savings plan lines other than covered usage move costs only.
where not line['cpuAvg_missing']
  and line['type'] in ('Usage', 'SavingsPlanCoveredUsage')
