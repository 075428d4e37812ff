-- Energy of a device and day by the use profile of its category, and its emissions by the mix of its country.
with in_use as (
  select *
  from silver
  where purchased_on <= cast($period_first_day as date)
    and (retired_on is null or retired_on > cast($period_first_day as date))
),
profile as (
  select
    category,
    case when $use_profile = '2025' then watts_2025 * hours_2025 else watts_2024 * hours_2024 end / 1000 as kwh_day
  from use_profiles
),
french_mix as (
  select max(value) as g_per_kwh
  from (
    select value from factors_old
    where factor_key = 'grid/ademe/FR-mix-moyen-2023' and ship like 'yes%' and $fr_mix_edition = '2023'
    union all
    select value from factors_new
    where factor_key = 'grid/ademe/FR-mix-moyen-2023' and ship like 'yes%' and $fr_mix_edition = '2025'
  )
),
country as (
  select
    codes.code,
    codes.iso2,
    case
      when codes.iso2 = 'FR' and $reference_data = 'ademe' then french_mix.g_per_kwh
      else coalesce(ember.ember_2022_ed2023_04, world.ember_2022_ed2023_04)
    end as g_per_kwh
  from country_codes codes
  cross join french_mix
  left join grid_ember ember on ember.iso3 = codes.iso3
  left join grid_ember world on world.iso3 = 'WORLD'
),
world as (
  select ember_2022_ed2023_04 as g_per_kwh from grid_ember where iso3 = 'WORLD'
),
energy as (
  select
    in_use.customer_id,
    in_use.device_id,
    in_use.category,
    in_use.country_code,
    case
      when $reference_data = 'vendor-ember' and sheet.annual_kwh is not null then sheet.annual_kwh / 365
      else profile.kwh_day
    end as kwh
  from in_use
  left join profile on profile.category = in_use.category
  left join vendor_sheets sheet on sheet.manufacturer = in_use.manufacturer and sheet.model = in_use.model
)
select
  energy.customer_id,
  energy.device_id,
  cast($period_first_day as date) as day,
  energy.category,
  country.iso2 as country,
  energy.kwh,
  energy.kwh * coalesce(country.g_per_kwh, world.g_per_kwh) / 1000 as co2e_kg
from energy
left join country on country.code = energy.country_code
cross join world
