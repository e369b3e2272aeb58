-- What is known when a flight leaves, and how late it arrived. Cancelled and diverted flights have no arr_delay.
select dest,
       arr_delay,
       dep_delay,
       distance,
       carrier,
       origin,
       month,
       day,
       extract(isodow from make_date(year, month, day))::int as weekday,
       hour,
       minute
  from flights
 where time_hour >= :floor
   and time_hour < :ceiling
   and arr_delay is not null
