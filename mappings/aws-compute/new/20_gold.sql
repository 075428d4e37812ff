-- Energy, emissions and embodied share per customer, account, region, service, instance type and day.
-- Energy after Cloud Carbon Footprint: vCPU-hours x (min + utilisation x (max - min)) W x PUE.
with platform as (
  select split_part(i.instance_type, '.', 1) as family,
         max(i.microarchitecture) as microarchitecture,
         max(cast(i.platform_vcpu as double)) as platform_vcpu,
         max(try_cast(i.ccf_min_w_per_vcpu_2022 as double)) as min_w_2022,
         max(try_cast(i.ccf_max_w_per_vcpu_2022 as double)) as max_w_2022,
         max(try_cast(i.ccf_min_w_per_vcpu_2026 as double)) as min_w_2026,
         max(try_cast(i.ccf_max_w_per_vcpu_2026 as double)) as max_w_2026,
         max(coalesce(cast(p.platform_embodied_kg as double),
                      try_cast(i.boavizta_platform_embodied_kg_derived as double),
                      try_cast(i.platform_embodied_kg_2026_list as double))) as embodied_kg
  from instances i
  left join platform_embodied p on p.family = split_part(i.instance_type, '.', 1)
  group by split_part(i.instance_type, '.', 1)
),
editions as (
  select '2021' as edition, factor_key, try_cast(value as double) as value from factors_old where ship like 'yes%'
  union all
  select '2026' as edition, factor_key, try_cast(value as double) as value from factors_new where ship like 'yes%'
),
fallback as (
  select max(case when factor_key = 'cpu/fallback/aws_min' then value end) as min_w,
         max(case when factor_key = 'cpu/fallback/aws_max' then value end) as max_w
  from editions where edition = $cpu_edition
),
watts as (
  -- The edition of 2021 is printed for three architectures; the others were first published in 2022.
  select platform.family, platform.platform_vcpu, platform.embodied_kg,
         case when $cpu_edition = '2021' then coalesce(cast(c.min_w_per_vcpu as double), platform.min_w_2022)
              else coalesce(platform.min_w_2026, platform.min_w_2022) end as min_w,
         case when $cpu_edition = '2021' then coalesce(cast(c.max_w_per_vcpu as double), platform.max_w_2022)
              else coalesce(platform.max_w_2026, platform.max_w_2022) end as max_w
  from platform
  left join cpu_2021 c on c.microarchitecture = platform.microarchitecture
),
fleet_pue as (
  select try_cast(value as double) as pue from factors_new where factor_key = 'pue/aws/fleet' and ship like 'yes%'
),
provider_grid as (
  select substr(factor_key, 10) as region, try_cast(value as double) as intensity_g
  from factors_old where factor_key like 'grid/aws/%' and ship like 'yes%'
),
country_grid as (
  select r.region, try_cast(f.value as double) as intensity_g
  from regions r
  join factors_new f on f.factor_key = concat('grid/country/', r.country_iso3)
  where f.ship like 'yes%'
),
energy as (
  select s.customer_id, s.account, s.region, s.service, s.instance_type, s.usage_day,
         s.vcpu * s.hours as vcpu_h,
         s.vcpu * s.hours
           * (coalesce(w.min_w, f.min_w)
              + s.utilisation * (coalesce(w.max_w, f.max_w) - coalesce(w.min_w, f.min_w))) / 1000
           * case when $pue_basis = 'region' then coalesce(cast(rp.pue as double), fp.pue) else fp.pue end as kwh,
         case when $aws_grid = 'country-2024' then cg.intensity_g else pg.intensity_g end as intensity_g,
         -- 52,560 h: six years (Boavizta archetypes of provider platforms).
         w.embodied_kg / 52560 * s.vcpu / w.platform_vcpu * s.hours as embodied_kg
  from silver s
  cross join fallback f
  cross join fleet_pue fp
  left join watts w on w.family = s.family
  left join region_pue rp on rp.region = s.region
  left join provider_grid pg on pg.region = s.region
  left join country_grid cg on cg.region = s.region
)
select customer_id, account, region, service, instance_type, usage_day,
       sum(vcpu_h) as vcpu_h,
       sum(kwh) as kwh,
       sum(kwh * intensity_g / 1000) as co2e_kg,
       sum(embodied_kg) as embodied_kg
from energy
group by customer_id, account, region, service, instance_type, usage_day
