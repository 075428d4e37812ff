-- Emissions by customer, domain, page group and day.
-- $swd_version: the Sustainable Web Design model, '3' or '4'.
-- $web_grid: 'global' puts every segment at the model's global grid; 'readers' puts network and device at the grid of
-- the readers' main country and counts green hosting.
with total as (
    select
        customer_id,
        domain,
        page_group,
        day,
        green_host,
        reader_country,
        sum(views) as views,
        sum(bytes) / 1e9 as gb
    from silver
    group by customer_id, domain, page_group, day, green_host, reader_country
),
v3 as (
    select
        max(case when factor_key = 'swd/kwh_per_gb' then cast(value as double) end) as kwh_per_gb,
        max(case when factor_key = 'swd/share_device' then cast(value as double) end) as device,
        max(case when factor_key = 'swd/share_network' then cast(value as double) end) as network,
        max(case when factor_key = 'swd/share_datacenter' then cast(value as double) end) as datacenter,
        max(case when factor_key = 'swd/share_production' then cast(value as double) end) as production,
        max(case when factor_key = 'swd/grid_global' then cast(value as double) end) as grid_global,
        max(case when factor_key = 'swd/grid_renewable' then cast(value as double) end) as grid_renewable,
        max(case when factor_key = 'swd/first_visit' then cast(value as double) end) as first_visit,
        max(case when factor_key = 'swd/return_visit' then cast(value as double) end) as return_visit,
        max(case when factor_key = 'swd/data_reload_ratio' then cast(value as double) end) as reload
    from factors_old
),
v4 as (
    select
        max(case when factor_key = 'swd/operational_device' then cast(value as double) end) as device,
        max(case when factor_key = 'swd/operational_network' then cast(value as double) end) as network,
        max(case when factor_key = 'swd/operational_datacenter' then cast(value as double) end) as datacenter,
        max(case when factor_key = 'swd/embodied_device' then cast(value as double) end)
        + max(case when factor_key = 'swd/embodied_network' then cast(value as double) end)
        + max(case when factor_key = 'swd/embodied_datacenter' then cast(value as double) end) as embodied,
        max(case when factor_key = 'swd/grid_global' then cast(value as double) end) as grid_global
    from factors_new
),
-- ISO 3166-1: two letters in the documents, three in the factor keys
code (alpha2, factor_key) as (
    values
        ('FR', 'grid/ademe/FR-mix-moyen-2023'),
        ('DE', 'grid/country/DEU'), ('GB', 'grid/country/GBR'), ('IE', 'grid/country/IRL'),
        ('NL', 'grid/country/NLD'), ('BE', 'grid/country/BEL'), ('LU', 'grid/country/LUX'),
        ('ES', 'grid/country/ESP'), ('PT', 'grid/country/PRT'), ('IT', 'grid/country/ITA'),
        ('CH', 'grid/country/CHE'), ('AT', 'grid/country/AUT'), ('PL', 'grid/country/POL'),
        ('CZ', 'grid/country/CZE'), ('RO', 'grid/country/ROU'), ('GR', 'grid/country/GRC'),
        ('SE', 'grid/country/SWE'), ('NO', 'grid/country/NOR'), ('FI', 'grid/country/FIN'),
        ('DK', 'grid/country/DNK'), ('EE', 'grid/country/EST'), ('US', 'grid/country/USA'),
        ('CA', 'grid/country/CAN'), ('IN', 'grid/country/IND')
),
grid as (
    select code.alpha2, cast(factor.value as double) as g_per_kwh
    from code
    join factors_new as factor on factor.factor_key = code.factor_key
),
placed as (
    select
        total.*,
        case when $web_grid = 'readers' then grid.g_per_kwh end as reader_grid,
        case when $web_grid = 'readers' then total.green_host else false end as green
    from total
    left join grid on grid.alpha2 = total.reader_country
)
select
    customer_id,
    domain,
    page_group,
    day,
    views,
    gb,
    case
        when $swd_version = '3' then gb * v3.kwh_per_gb
        else gb * (v4.device + v4.network + v4.datacenter + v4.embodied)
    end as kwh,
    case
        when $swd_version = '3' then
            gb * v3.kwh_per_gb * (v3.first_visit + v3.return_visit * v3.reload) * (
                (v3.device + v3.network) * coalesce(reader_grid, v3.grid_global)
                + v3.datacenter * case when green then v3.grid_renewable else v3.grid_global end
                + v3.production * v3.grid_global
            ) / 1000
        else
            -- a visit of model 4 loads everything: no caching is assumed
            gb * (
                (v4.device + v4.network) * coalesce(reader_grid, v4.grid_global)
                + v4.datacenter * case when green then 0.0 else v4.grid_global end
                + v4.embodied * v4.grid_global
            ) / 1000
    end as co2e_kg
from placed
cross join v3
cross join v4
