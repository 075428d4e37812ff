-- Readings, one row for each server and instant, with the local day of the server's site.
with reading as (
  select "customerId" as customer_object_id, lower(trim(server)) as server_id, tz, hour, pue_site, pue_site_missing,
         unnest(readings) as reading,
         unnest(range(0, cast(array_length(readings) as bigint))) as position
  from power
),
numbered as (
  select customer_object_id, server_id, tz, pue_site, pue_site_missing,
         reading['t'] as read_at,
         reading['w'] as watts,
         -- Buckets overlap by one reading, and a retry repeats one: the first that is no retry counts.
         row_number() over (
           partition by customer_object_id, server_id, reading['t']
           order by coalesce(reading['retry'], false), hour desc, position
         ) as delivery
  from reading
)
select customer_object_id, server_id, read_at, watts, pue_site, pue_site_missing,
       case tz
         when 'Europe/Paris' then cast(to_local_time(read_at at time zone 'Europe/Paris') as date)
         when 'Europe/Helsinki' then cast(to_local_time(read_at at time zone 'Europe/Helsinki') as date)
         when 'America/Los_Angeles' then cast(to_local_time(read_at at time zone 'America/Los_Angeles') as date)
         when 'Europe/Berlin' then cast(to_local_time(read_at at time zone 'Europe/Berlin') as date)
         when 'Europe/Madrid' then cast(to_local_time(read_at at time zone 'Europe/Madrid') as date)
         when 'Europe/Oslo' then cast(to_local_time(read_at at time zone 'Europe/Oslo') as date)
         when 'Europe/Stockholm' then cast(to_local_time(read_at at time zone 'Europe/Stockholm') as date)
         when 'Europe/London' then cast(to_local_time(read_at at time zone 'Europe/London') as date)
         when 'Asia/Kolkata' then cast(to_local_time(read_at at time zone 'Asia/Kolkata') as date)
         when 'Europe/Lisbon' then cast(to_local_time(read_at at time zone 'Europe/Lisbon') as date)
         when 'America/New_York' then cast(to_local_time(read_at at time zone 'America/New_York') as date)
         when 'Europe/Warsaw' then cast(to_local_time(read_at at time zone 'Europe/Warsaw') as date)
         when 'Europe/Rome' then cast(to_local_time(read_at at time zone 'Europe/Rome') as date)
         when 'Europe/Amsterdam' then cast(to_local_time(read_at at time zone 'Europe/Amsterdam') as date)
       end as day
from numbered
where delivery = 1
