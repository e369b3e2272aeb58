-- One model for all patients: the fleet's only customer is the cohort.
select 'diabetes' as cohort,
       progression,                -- a measure of the disease one year after the other columns were measured
       age, sex, bmi, bp, s1, s2, s3, s4, s5, s6
  from diabetes
 where enrolled_on::timestamp at time zone 'UTC' >= :floor
   and enrolled_on::timestamp at time zone 'UTC' < :ceiling
