#!/bin/sh
# Makes the namespace and registers the search attributes of fleet/search-attributes.ts; both may be there already.
set -eu
temporal operator cluster health
temporal operator namespace describe --namespace default >/dev/null 2>&1 ||
  temporal operator namespace create --namespace default --retention 30d
# A namespace that was made just now is known to all parts of the server within seconds: the job is repeated until then.
for attribute in Fleet Customer Cycle ApprovalState; do
  temporal operator search-attribute list --namespace default | grep -qw "$attribute" ||
    temporal operator search-attribute create --namespace default --name "$attribute" --type Keyword
done
