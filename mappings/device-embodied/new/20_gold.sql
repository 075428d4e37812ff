-- Embodied emissions of a device and month: the factor of its category over the category's lifetime, by days held.
with bounds as (
  select
    cast($period_first_day as date) as first_day,
    cast($period_last_day as date) as last_day,
    date_part('day', cast($period_last_day as date)) as days_in_month
),
held as (
  select
    silver.*,
    bounds.first_day,
    -- Days from the later of purchase and month start to the earlier of retirement (not held that day) and month end.
    bounds.days_in_month
      - case when purchased_on > first_day then date_part('day', purchased_on) - 1 else 0 end
      - case when retired_on <= last_day then bounds.days_in_month - date_part('day', retired_on) + 1 else 0 end
      as days_held
  from silver
  cross join bounds
  where purchased_on <= last_day
    and (retired_on is null or retired_on > first_day)
),
factor as (
  select
    names.category,
    case
      when $base_impacts = '2' then ed2025_11_manufacture_distribution_kg + ed2025_11_eol_kg
      when $ademe_edition = '2024-04' then ed2024_04_manufacture_distribution_kg + ed2024_04_eol_kg
      else ed2024_01_manufacture_distribution_kg + ed2024_01_eol_kg
    end as category_kg,
    case
      when $base_impacts = '2' then ed2025_11_lifetime_y
      when $ademe_edition = '2024-04' then ed2024_04_lifetime_y
      else ed2024_01_lifetime_y
    end as category_years
  from use_profiles names
  left join categories on categories.slug = names.slug
),
amortised as (
  select
    held.*,
    case when $embodied_source = 'vendor' then coalesce(sheet.embodied_kg, factor.category_kg) else factor.category_kg end
      as factor_kg,
    case when $embodied_source = 'vendor' then coalesce(lifetime_months / 12.0, category_years) else category_years end
      as lifetime_years,
    case when $embodied_source = 'vendor' then 1.0 / 12 else days_held / 365.0 end
      as year_share
  from held
  left join factor on factor.category = held.category
  left join vendor_sheets sheet on sheet.manufacturer = held.manufacturer and sheet.model = held.model
)
select
  customer_id,
  device_id,
  first_day as month,
  category,
  case when never_amortised then 0.0 else factor_kg / lifetime_years * year_share end as embodied_kg
from amortised
