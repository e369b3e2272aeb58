select location, price, year_built, square_feet, bedrooms, bathrooms, lot_acres, garages,
       front_porch, deck                -- 'y' or 'n': the preprocessor makes numbers of them
  from house_sales
 where sold_at >= :floor and sold_at < :ceiling
