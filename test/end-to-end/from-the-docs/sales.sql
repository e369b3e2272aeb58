select shop, sold, temperature, weekend from ice_cream where day >= :floor and day < :ceiling
