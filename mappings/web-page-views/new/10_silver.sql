-- One row a page, cleaned: host and path normalised, every day of a host once, the readers' main country and the
-- host's green flag beside it.
with delivered as (
    select
        customer as customer_id,
        "_id"['d'] as day,
        lower(btrim("_id"['host'])) as domain,
        pages,
        countries,
        coalesce(green_host, false) as green_host
    from web_stats
),
numbered as (
    select *, row_number() over (partition by customer_id, day, domain order by green_host, countries) as delivery
    from delivered
),
host_day as (
    select * from numbered where delivery = 1
),
-- {"FR": 0.81, "BE": 0.09, "??": 0.1}: one row a country
pair as (
    select customer_id, day, domain, unnest(string_to_array(btrim(countries, '{} '), ',')) as pair
    from host_day
),
reader as (
    select
        customer_id,
        day,
        domain,
        upper(btrim(split_part(pair, ':', 1), ' "')) as country,
        try_cast(btrim(split_part(pair, ':', 2), ' "') as double) as share
    from pair
),
ranked as (
    select
        customer_id,
        day,
        domain,
        case country when 'UK' then 'GB' when 'EL' then 'GR' else country end as country,
        row_number() over (partition by customer_id, day, domain order by share desc, country) as rank
    from reader
    where country not in ('', '??') and share > 0
),
page as (
    select customer_id, day, domain, green_host, unnest(pages) as p from host_day
)
select
    page.customer_id,
    page.day,
    page.domain,
    case
        when lower(split_part(p['path'], '?', 1)) in ('', '/', '/index.html') then 'home'
        else split_part(lower(split_part(p['path'], '?', 1)), '/', 2)
    end as page_group,
    coalesce(p['views'], 0) as views,
    cast(coalesce(p['views'], 0) as double) * coalesce(p['bytes_avg'], 0.0) as bytes,
    page.green_host,
    ranked.country as reader_country
from page
left join ranked
    on ranked.customer_id = page.customer_id
    and ranked.day = page.day
    and ranked.domain = page.domain
    and ranked.rank = 1
