-- Spend times EPA v1.2 factor with margins. Every currency is taken as US dollars, VAT stays in.
-- A line counts once although imports repeat it, and not at all once an entry reversed it. Credits are negative.
with line as (
    select
        *,
        row_number() over (partition by customer, upper(btrim("_id")) order by "_id") as import
    from spend_lines
)
select
    customer as customer_id,
    lower(btrim(regexp_replace(vendor['name'], '\s+', ' ', 'g'))) as vendor,
    lower(btrim(replace(line.category, '–', '-'))) as category,
    cast(date_trunc('month', invoice_date) as date) as invoice_month,
    count(*) as lines,
    cast(sum(coalesce(cardinality(lines), 0)) as bigint) as items,
    sum(cast(amount as double)) as amount_eur,
    sum(cast(amount as double) * cast(f.value as double)) as co2e_kg,
    max(case upper(btrim(vendor['country'])) when 'UK' then 'GB' else upper(btrim(vendor['country'])) end) as vendor_country
from line
join factors_old as f
    -- hosting where the line has no code of its own
    on f.factor_key = 'saas/naics/' || cast(coalesce(naics, 518210) as varchar) || '/with_margins'
where import = 1 and coalesce(cardinality(reversed_by), 0) = 0
group by 1, 2, 3, 4
