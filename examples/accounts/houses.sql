select city,
       price,
       square_feet,
       num_bedrooms,
       num_bathrooms,
       lot_acres,
       garage_spaces,
       year_built
  from houses
 where sold_at >= :floor
   and sold_at < :ceiling
