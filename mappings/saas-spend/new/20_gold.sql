-- Spend-based emissions by customer, vendor, category and month.
-- $epa_edition: '1.2' or '1.3' of the EPA supply chain factors.
-- $spend_basis: 'as-usd' takes every currency as US dollars, with margins; 'fx' converts at the rate of the invoice
-- date, without margins; 'ademe' uses ADEME's ratios per euro.
-- $vat_treatment: 'gross' keeps VAT in the amounts, 'net' takes it off.
with rate as (
    select
        currency,
        valid_from,
        lead(valid_from) over (partition by currency order by valid_from) as valid_to,
        cast(per_eur as double) as per_eur
    from (select currency, cast(valid_from as date) as valid_from, per_eur from fx_rates)
),
factor as (
    select '1.2' as edition, factor_key, cast(value as double) as kg from factors_old where category = 'saas.spend'
    union all
    select '1.3' as edition, factor_key, cast(value as double) as kg from factors_new where category = 'saas.spend'
),
ademe as (
    -- kg per thousand euros without VAT
    select
        max(case when factor_key = 'saas/ademe2023/programmation-conseil-it-services-d-information'
            then cast(value as double) end) as it_services,
        max(case when factor_key = 'saas/ademe2023/services-de-telecommunications'
            then cast(value as double) end) as telecom
    from factors_new
),
priced as (
    select
        silver.*,
        amount / case when $vat_treatment = 'net' then 1 + vat else 1 end as charged,
        case when $spend_basis = 'as-usd' then 1.0 else coalesce(own.per_eur, case when silver.currency = 'EUR' then 1.0 end)
        end as per_eur,
        case when $spend_basis = 'as-usd' then 1.0 else usd.per_eur end as usd_per_eur,
        case when $spend_basis = 'as-usd' then 'with_margins' else 'without_margins' end as margins
    from silver
    left join rate as own
        on own.currency = silver.currency
        and silver.invoice_date >= own.valid_from
        and (own.valid_to is null or silver.invoice_date < own.valid_to)
    left join rate as usd
        on usd.currency = 'USD'
        and silver.invoice_date >= usd.valid_from
        and (usd.valid_to is null or silver.invoice_date < usd.valid_to)
)
select
    customer_id,
    vendor,
    priced.category,
    invoice_month,
    count(*) as lines,
    cast(sum(items) as bigint) as items,
    sum(charged / per_eur) as amount_eur,
    sum(
        charged / per_eur
        * case
            when $spend_basis = 'ademe' then
                case when naics between 517000 and 517999 then ademe.telecom else ademe.it_services end / 1000
            else usd_per_eur * factor.kg
        end
    ) as co2e_kg,
    max(vendor_country) as vendor_country
from priced
left join factor
    on factor.edition = $epa_edition
    and factor.factor_key = 'saas/naics/' || cast(priced.naics as varchar) || '/' || priced.margins
cross join ademe
group by customer_id, vendor, priced.category, invoice_month
