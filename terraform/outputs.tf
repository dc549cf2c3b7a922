locals {
  pods      = merge({ head = runpod_pod.head }, { for index, pod in runpod_pod.worker : "worker${index + 1}" => pod })
  dns_names = { for name, pod in local.pods : name => "${pod.id}.runpod.internal" }
}

output "pod_ids" {
  description = "RunPod's ID of each pod, by its name in Slurm."
  value       = { for name, pod in local.pods : name => pod.id }
}

output "dns_names" {
  description = "Each pod's name on RunPod's internal network, by its name in Slurm."
  value       = local.dns_names
}

output "public_ips" {
  description = "Each pod's public address; empty until RunPod has given one (terraform apply -refresh-only)."
  value       = { for name, pod in local.pods : name => pod.public_ip }
}

output "head_ssh_info" {
  description = "A command that prints how to reach the head by SSH; the provider does not tell the public port."
  value       = "runpodctl ssh info ${runpod_pod.head.id}"
}

output "worker_ssh_info" {
  description = "The same command for each worker, by its name in Slurm."
  value       = { for index, pod in runpod_pod.worker : "worker${index + 1}" => "runpodctl ssh info ${pod.id}" }
}

output "gpu_metrics_urls" {
  description = "The GPU exporter of each pod, as another pod reaches it."
  value       = [for name in values(local.dns_names) : "http://${name}:${local.gpu_exporter_port}/metrics"]
}

output "slurm_metrics_url" {
  description = "The Slurm exporter, as another pod reaches it."
  value       = "http://${local.dns_names.head}:${local.slurm_exporter_port}/metrics"
}

output "cost_per_hour" {
  description = "What all pods cost per hour in RunPod credits, without volumes, as RunPod told at the last refresh."
  value       = sum([for pod in local.pods : coalesce(pod.cost_per_hr, 0)])
}

output "munge_key" {
  description = "The cluster's secret, given or generated; null where it is a RunPod secret."
  value       = local.munge_key
  sensitive   = true
}
