#!/bin/sh
# Makes Temporal's two databases, or brings them to this version's schema.
set -eu
for database in temporal temporal_visibility; do
  folder=temporal
  if [ "$database" = temporal_visibility ]; then folder=visibility; fi
  tool="temporal-sql-tool --plugin postgres12 --ep temporal-postgres -p 5432 -u temporal --db $database"
  # Each step does nothing where it has been done.
  $tool create
  $tool setup-schema -v 0.0
  $tool update-schema -d "/etc/temporal/schema/postgresql/v12/$folder/versioned"
done
