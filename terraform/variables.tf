variable "image_name" {
  description = "GPU Watchdog's image with its tag or digest, as the pods pull it."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[^[:space:]]+$", var.image_name))
    error_message = "Write an image such as registry.example/gpu-watchdog:0.1.0."
  }
}

variable "container_registry_auth_id" {
  description = "ID of the RunPod registry credentials for a private image."
  type        = string
  default     = null
}

variable "cluster_name" {
  description = "Slurm's name of the cluster, and the first part of the pods' names."
  type        = string
  nullable    = false
  default     = "gpu-watchdog"

  validation {
    condition = (
      can(regex("^[A-Za-z0-9]([A-Za-z0-9_-]{0,61}[A-Za-z0-9])?$", var.cluster_name)) &&
      !contains(["default", "all", "localhost", "none"], lower(var.cluster_name))
    )
    error_message = "Write 1 to 63 letters, digits, - or _, a letter or digit first and last, no word that Slurm keeps."
  }
}

variable "worker_count" {
  description = "Pods beside the head, 0 to 99. Every one costs money."
  type        = number
  nullable    = false
  default     = 1

  validation {
    condition     = var.worker_count >= 0 && var.worker_count <= 99 && floor(var.worker_count) == var.worker_count
    error_message = "Write a whole number from 0 to 99: with the head a cluster has 100 pods at most (MAX_NODES)."
  }
}

variable "gpu_type_ids" {
  description = "RunPod GPU types that will do; each pod gets one that is available."
  type        = list(string)
  nullable    = false

  validation {
    condition     = length(var.gpu_type_ids) > 0
    error_message = "Name at least one GPU type, such as \"NVIDIA GeForce RTX 4090\"."
  }
}

variable "gpu_count" {
  description = "GPUs of each pod."
  type        = number
  nullable    = false
  default     = 1

  validation {
    condition     = var.gpu_count >= 1 && floor(var.gpu_count) == var.gpu_count
    error_message = "Write a whole number from 1: global networking, which the workers need, is for GPU pods only."
  }
}

variable "data_center_ids" {
  description = "RunPod data centers that will do, all of them with global networking; null: any."
  type        = list(string)
  default     = null
}

variable "container_disk_in_gb" {
  description = "Each pod's container disk; a restart wipes it."
  type        = number
  nullable    = false
  default     = 50
}

variable "volume_in_gb" {
  description = "Each pod's own volume at /workspace, which a restart keeps; a network volume stands in for it."
  type        = number
  nullable    = false
  default     = 20
}

variable "network_volume_id" {
  description = "Network volume that all pods mount at /workspace; it keeps Slurm's state when the head is replaced."
  type        = string
  default     = null

  validation {
    condition     = var.network_volume_id == null || try(length(var.data_center_ids), 0) == 1
    error_message = "A network volume is in one data center: name that one in data_center_ids."
  }
}

variable "ports" {
  description = "Ports open to the internet, as NUMBER/tcp or NUMBER/http; never Slurm's and the exporters'."
  type        = list(string)
  nullable    = false
  default     = ["22/tcp"]

  validation {
    condition     = alltrue([for port in var.ports : can(regex("^[1-9][0-9]{0,4}/(tcp|http)$", port))])
    error_message = "Write each port as NUMBER/tcp or NUMBER/http."
  }

  validation {
    condition = alltrue([
      for port in var.ports : !contains(local.private_ports, try(tonumber(split("/", port)[0]), 0))
    ])
    error_message = <<-EOT
      ${join(", ", local.private_ports)} never go to the internet: who reaches slurmctld or slurmd and has the key runs
      anything as root, and the exporters answer anybody without a password. Between the pods they are open anyway.
    EOT
  }
}

variable "ssh_public_key" {
  description = "Who may log in as root (PUBLIC_KEY): what a .pub file holds; null: whom RunPod lets in, if anybody."
  type        = string
  default     = null

  validation {
    # Such as the name of the file in place of what it holds: the pods would not start.
    condition = (
      var.ssh_public_key == null || can(regex("(ssh|ecdsa|sk)-\\S+ +[A-Za-z0-9+/]{16}", var.ssh_public_key))
    )
    error_message = "Write the content of a .pub file, such as file(\"~/.ssh/id_ed25519.pub\")."
  }
}

variable "env" {
  description = "Further environment of all pods, such as PARTITION_NAME; see docs/configuration.md."
  type        = map(string)
  nullable    = false
  default     = {}

  validation {
    condition     = length(setintersection(keys(var.env), local.reserved_env)) == 0
    error_message = "Not here, as the module sets them or each pod needs its own: ${join(", ", local.reserved_env)}."
  }
}

variable "munge_key" {
  description = "The cluster's secret, 32 characters or more; null: one is generated. Either way it is in the state."
  type        = string
  sensitive   = true
  default     = null

  # Checked in main.tf: Terraform prints the value of a variable that fails a validation of its own, sensitive or not.
}

variable "munge_key_secret_name" {
  description = "A RunPod secret with the cluster's secret, instead of munge_key: then the state does not have it."
  type        = string
  default     = null

  validation {
    condition     = var.munge_key_secret_name == null || var.munge_key == null
    error_message = "Set munge_key or munge_key_secret_name, not both."
  }

  validation {
    condition     = can(regex("^[A-Za-z_][A-Za-z0-9_]*$", coalesce(var.munge_key_secret_name, "unset")))
    error_message = "Write the secret's name alone, letters, digits or _, such as munge_key."
  }
}
