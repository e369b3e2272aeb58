-- An hour of a machine: its load, what its sensor says of the temperature, the tool that is in it, and the power it took.
select machine, power, load, temperature, tool
  from machine_hours
 where measured_at >= :floor
   and measured_at < :ceiling
