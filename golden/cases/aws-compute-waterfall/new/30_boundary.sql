-- Emissions with or without the embodied share of the platform (SCI: O + M).
select customer_id, account, region, service, instance_type, usage_day, vcpu_h, kwh,
       co2e_kg + case when $cloud_boundary = 'with-embodied' then embodied_kg else 0.0 end as co2e_kg,
       embodied_kg
from gold
