-- The image makes the database warehouse; these are the ledger's and the SageMaker server's.
CREATE DATABASE modelfleet;
CREATE DATABASE sagemaker;
