locals {
  # As in bootstrap/variables.py and bootstrap/settings.py; a test compares them.
  slurmctld_port      = 6817
  slurmd_port         = 6818
  gpu_exporter_port   = 9400
  slurm_exporter_port = 9341
  private_ports       = [local.slurmctld_port, local.slurmd_port, local.gpu_exporter_port, local.slurm_exporter_port]

  # What this module sets itself, what differs from pod to pod, and what the outputs and the check of ports count on.
  reserved_env = [
    "NODE_ROLE", "HEAD_NODE_IP", "CLUSTER_NAME", "NODE_NAME", "NODE_IP", "NODE_ADDR", "MUNGE_KEY", "MUNGE_KEY_FILE",
    "PUBLIC_KEY", "GPU_EXPORTER_PORT", "SLURM_EXPORTER_PORT",
  ]

  generate_munge_key = var.munge_key == null && var.munge_key_secret_name == null
  munge_key          = var.munge_key != null ? var.munge_key : one(random_password.munge_key[*].result)
  munge_key_secret   = var.munge_key_secret_name == null ? null : "{{ RUNPOD_SECRET_${var.munge_key_secret_name} }}"

  # What all pods have in common.
  pod = {
    image_name                 = var.image_name
    container_registry_auth_id = var.container_registry_auth_id
    gpu_type_ids               = var.gpu_type_ids
    gpu_count                  = var.gpu_count
    data_center_ids            = var.data_center_ids
    container_disk_in_gb       = var.container_disk_in_gb
    volume_in_gb               = var.volume_in_gb
    network_volume_id          = var.network_volume_id
    ports                      = var.ports
    env = merge(
      var.env,
      {
        CLUSTER_NAME = var.cluster_name
        MUNGE_KEY    = local.munge_key_secret != null ? local.munge_key_secret : local.munge_key
      },
      var.ssh_public_key == null ? {} : { PUBLIC_KEY = var.ssh_public_key },
    )
  }
}

resource "random_password" "munge_key" {
  count = local.generate_munge_key ? 1 : 0

  length  = 64
  special = false
}

# Provider 1.0 cannot update a pod: it calls what RunPod's API does not document, and leaves out half of the attributes.
# So a change of any of these replaces the pods. A hash, as this resource would show the key in plans.
resource "terraform_data" "pod" {
  input = sha256(jsonencode(local.pod))

  lifecycle {
    precondition {
      condition     = var.munge_key == null || try(length(trimspace(var.munge_key)), 0) >= 32
      error_message = "munge_key: write 32 characters or more, such as the output of: openssl rand -hex 32."
    }
    precondition {
      condition     = var.munge_key == null || !try(strcontains(var.munge_key, "{{"), false)
      error_message = "munge_key: for a RunPod secret write its name alone, in munge_key_secret_name."
    }
  }
}

resource "runpod_pod" "head" {
  name                       = "${var.cluster_name}-head"
  image_name                 = local.pod.image_name
  container_registry_auth_id = local.pod.container_registry_auth_id
  cloud_type                 = "SECURE" # global networking is only there
  global_networking          = true
  gpu_type_ids               = local.pod.gpu_type_ids
  gpu_count                  = local.pod.gpu_count
  data_center_ids            = local.pod.data_center_ids
  container_disk_in_gb       = local.pod.container_disk_in_gb
  volume_in_gb               = local.pod.volume_in_gb
  volume_mount_path          = "/workspace"
  network_volume_id          = local.pod.network_volume_id
  ports                      = local.pod.ports

  env = merge(local.pod.env, {
    NODE_ROLE = "head"
    NODE_NAME = "head"
  })

  lifecycle {
    replace_triggered_by = [terraform_data.pod]
  }
}

resource "runpod_pod" "worker" {
  count = var.worker_count

  name                       = "${var.cluster_name}-worker${count.index + 1}"
  image_name                 = local.pod.image_name
  container_registry_auth_id = local.pod.container_registry_auth_id
  cloud_type                 = "SECURE" # global networking is only there
  global_networking          = true
  gpu_type_ids               = local.pod.gpu_type_ids
  gpu_count                  = local.pod.gpu_count
  data_center_ids            = local.pod.data_center_ids
  container_disk_in_gb       = local.pod.container_disk_in_gb
  volume_in_gb               = local.pod.volume_in_gb
  volume_mount_path          = "/workspace"
  network_volume_id          = local.pod.network_volume_id
  ports                      = local.pod.ports

  env = merge(local.pod.env, {
    NODE_ROLE    = "worker"
    NODE_NAME    = "worker${count.index + 1}" # the same after a replacement, so Slurm keeps no node of the old pod
    HEAD_NODE_IP = "${runpod_pod.head.id}.runpod.internal"
  })

  lifecycle {
    replace_triggered_by = [terraform_data.pod, runpod_pod.head.id]
  }
}
