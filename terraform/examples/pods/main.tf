# A head and a worker without the module. RUNPOD_API_KEY holds RunPod's API key.
terraform {
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

variable "munge_key" {
  description = "The cluster's secret, the same on all pods: openssl rand -hex 32 makes one."
  type        = string
  sensitive   = true
}

resource "runpod_pod" "head_node" {
  name              = "head"
  image_name        = var.image_name
  gpu_type_ids      = ["NVIDIA GeForce RTX 4090"]
  global_networking = true
  ports             = ["22/tcp"]

  env = {
    NODE_ROLE    = "head"
    CLUSTER_NAME = "gpu-watchdog"
    MUNGE_KEY    = var.munge_key
  }
}

resource "runpod_pod" "worker_node" {
  name              = "worker"
  image_name        = var.image_name
  gpu_type_ids      = ["NVIDIA GeForce RTX 4090"]
  global_networking = true
  ports             = ["22/tcp"]

  env = {
    NODE_ROLE    = "worker"
    CLUSTER_NAME = "gpu-watchdog"
    HEAD_NODE_IP = "${runpod_pod.head_node.id}.runpod.internal"
    MUNGE_KEY    = var.munge_key
  }
}
