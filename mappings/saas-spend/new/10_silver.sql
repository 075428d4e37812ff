-- One row a booked line, cleaned: imported once, not reversed, names and codes normalised, VAT rate as a number.
with imported as (
    select
        *,
        upper(btrim("_id")) as line_id,
        row_number() over (partition by customer, upper(btrim("_id")) order by "_id" desc) as import
    from spend_lines
),
booked as (
    select
        customer as customer_id,
        line_id,
        lower(btrim(regexp_replace(vendor['name'], '\s+', ' ', 'g'))) as vendor,
        upper(btrim(vendor['country'])) as country,
        lower(btrim(replace(category, '–', '-'))) as category,
        coalesce(naics, 518210) as naics,
        invoice_date,
        cast(amount as double) as amount,
        upper(btrim(currency)) as currency,
        coalesce(vat_included, false) as vat_included,
        replace(btrim(regexp_replace(vat_rate, '[\s%]+', '', 'g')), ',', '.') as vat_digits,
        position('%' in coalesce(vat_rate, '')) > 0 as vat_percent,
        coalesce(cardinality(lines), 0) as items
    from imported
    where import = 1 and coalesce(cardinality(reversed_by), 0) = 0
)
select
    customer_id,
    line_id,
    vendor,
    case country when 'UK' then 'GB' when 'EL' then 'GR' else country end as vendor_country,
    category,
    naics,
    invoice_date,
    cast(date_trunc('month', invoice_date) as date) as invoice_month,
    amount,
    case
        when currency in ('€', 'EUR', 'EURO') then 'EUR'
        when currency in ('$', 'US$', 'USD') then 'USD'
        when currency in ('£', 'GBP') then 'GBP'
        else currency
    end as currency,
    -- a rate is printed as "20%", "5,5 %" or 0.2; a line without one has no VAT in it
    case
        when not vat_included then 0.0
        else coalesce(try_cast(vat_digits as double), 0.0) / case when vat_percent then 100 else 1 end
    end as vat,
    items
from booked
where amount is not null
