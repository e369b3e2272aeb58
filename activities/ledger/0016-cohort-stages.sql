-- Cohorts through stages: what other stages have of a page's members is looked up, without a scan of the fleet's publications.

create index publications_serving on publications (fleet, customer_key, version) where state = 'serving';
create index publications_rejected on publications (fleet, customer_key, version) where state = 'rejected';
