-- Emissions of web pages: Sustainable Web Design model 3, per visit, everywhere at the global grid.
-- A host's day counts once, however often it was delivered: `_id` with its keys in another order is another
-- document to the database, but the same day of the same host.
with host_day as (
    select
        customer,
        "_id"['d'] as day,
        lower(btrim("_id"['host'])) as host,
        pages,
        row_number() over (
            partition by customer, "_id"['d'], lower(btrim("_id"['host']))
            order by "_id"['host']
        ) as copy
    from web_stats
),
page as (
    select customer, day, host, unnest(pages) as p from host_day where copy = 1
),
total as (
    select
        customer as customer_id,
        host as domain,
        case
            when lower(split_part(p['path'], '?', 1)) in ('', '/', '/index.html') then 'home'
            else split_part(lower(split_part(p['path'], '?', 1)), '/', 2)
        end as page_group,
        day,
        sum(coalesce(p['views'], 0)) as views,
        -- decimal gigabytes, as co2.js counts them
        sum(cast(coalesce(p['views'], 0) as double) * coalesce(p['bytes_avg'], 0.0)) / 1e9 as gb
    from page
    group by 1, 2, 3, 4
),
swd as (
    select
        max(case when factor_key = 'swd/kwh_per_gb' then cast(value as double) end) as kwh_per_gb,
        max(case when factor_key = 'swd/grid_global' then cast(value as double) end) as grid,
        max(case when factor_key = 'swd/first_visit' then cast(value as double) end) as first_visit,
        max(case when factor_key = 'swd/return_visit' then cast(value as double) end) as return_visit,
        max(case when factor_key = 'swd/data_reload_ratio' then cast(value as double) end) as reload
    from factors_old
)
select
    customer_id,
    domain,
    page_group,
    day,
    views,
    gb,
    gb * kwh_per_gb as kwh,
    -- the visit weight is part of the emissions of a visit, not of the energy of its bytes
    gb * kwh_per_gb * grid * (first_visit + return_visit * reload) / 1000 as co2e_kg
from total
cross join swd
