-- Invoices in kilowatt-hours with their number of billed days (the end of the period is excluded).
select "_id" as invoice_id,
       customer as customer_id,
       trim(meter) as meter_id,
       period['from'] as billed_from,
       period['to'] as billed_until,
       arrow_cast(period['to'], 'Int32') - arrow_cast(period['from'], 'Int32') as billed_days,
       cast(consumption['value'] as double) * case lower(trim(consumption['unit']))
         when 'kwh' then 1.0
         when 'mwh' then 1000.0
         when 'wh' then 0.001
       end as kwh,
       -- Credit notes are negative invoices and count as they are.
       cast(amount as decimal(28, 10)) as amount_eur
from invoices
where lower(trim(consumption['unit'])) in ('kwh', 'mwh', 'wh')
  and period['to'] > period['from']
