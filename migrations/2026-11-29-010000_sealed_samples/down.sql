DROP FUNCTION sealed_samples();
