-- Old nightly job over cloudUsage.aws: vCPU-hours x (min + u (max - min)) W x PUE x grid factor.
with l as (
  select "_id" as doc, customer, account, "usageDate" as d,
         unnest("lineItems") as i, unnest(range(0, cast(array_length("lineItems") as bigint))) as n
  from usage
), once as (
  -- A line that was delivered again counts as first delivered.
  select *, row_number() over (partition by doc, i['id'] order by n) as delivery from l
), used as (
  -- A negation cancels a cost, not a use; a line without the cpuAvg field is no instance.
  select customer, lpad(account, 12, '0') as account, lower(trim(i['region'])) as region,
         coalesce(i['service'], 'AmazonEC2') as service, lower(trim(i['instanceType'])) as it, d,
         i['vcpu'] * i['hours'] as vh, coalesce(i['cpuAvg'], 50.0) / 100 as u
  from once
  where delivery = 1 and i['type'] in ('Usage', 'SavingsPlanCoveredUsage') and not i['cpuAvg_missing']
), family as (
  select split_part(instance_type, '.', 1) as f, max(microarchitecture) as arch,
         max(try_cast(ccf_min_w_per_vcpu_2022 as double)) as lo, max(try_cast(ccf_max_w_per_vcpu_2022 as double)) as hi
  from instances group by split_part(instance_type, '.', 1)
), w as (
  select u.*,
         coalesce(cast(c.min_w_per_vcpu as double), f.lo, (select try_cast(value as double) from factors_old where factor_key = 'cpu/fallback/aws_min')) as lo,
         coalesce(cast(c.max_w_per_vcpu as double), f.hi, (select try_cast(value as double) from factors_old where factor_key = 'cpu/fallback/aws_max')) as hi
  from used u
  left join family f on f.f = split_part(u.it, '.', 1)
  left join cpu_2021 c on c.microarchitecture = f.arch
), e as (
  select *, vh * (lo + u * (hi - lo)) / 1000
            * (select try_cast(value as double) from factors_new where factor_key = 'pue/aws/fleet') as kwh
  from w
)
select e.customer as customer_id, e.account, e.region, e.service, e.it as instance_type, e.d as usage_day,
       sum(e.vh) as vcpu_h, sum(e.kwh) as kwh, sum(e.kwh * try_cast(g.value as double)) / 1000 as co2e_kg
from e left join factors_old g on g.factor_key = concat('grid/aws/', e.region)
group by e.customer, e.account, e.region, e.service, e.it, e.d
