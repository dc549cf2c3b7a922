# A cluster by the module. RUNPOD_API_KEY holds RunPod's API key.
terraform {
  required_version = ">= 1.9"

  required_providers {
    runpod = {
      source  = "decentralized-infrastructure/runpod"
      version = "~> 1.0.1"
    }
  }
}

provider "runpod" {}

variable "image_name" {
  description = "GPU Watchdog's image."
  type        = string
}

module "cluster" {
  source = "../.."

  image_name   = var.image_name
  cluster_name = "training"
  worker_count = 2
  gpu_type_ids = ["NVIDIA GeForce RTX 4090", "NVIDIA RTX A6000"]
  gpu_count    = 2

  env = {
    PARTITION_NAME = "train"
  }
}

output "head_ssh_info" {
  description = "Run it to see how to reach the head."
  value       = module.cluster.head_ssh_info
}

output "worker_ssh_info" {
  description = "The same for each worker."
  value       = module.cluster.worker_ssh_info
}

output "metrics_urls" {
  description = "What a Prometheus in another pod reads."
  value       = concat(module.cluster.gpu_metrics_urls, [module.cluster.slurm_metrics_url])
}

output "cost_per_hour" {
  description = "What the pods cost per hour."
  value       = module.cluster.cost_per_hour
}
