-- A customer's hours. The time is text, which the script reads; measured_at only tells the newest from the oldest.
select customer_id,
       consumption,
       to_char("timestamp" at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS') as "timestamp",
       "timestamp" as measured_at
  from energy_consumption
 where "timestamp" >= :floor
   and "timestamp" < :ceiling
