-- Every destination there ever was, so that one without flights in the window is told and not forgotten.
select distinct dest from flights
